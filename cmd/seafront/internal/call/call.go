// SPDX-License-Identifier: Apache-2.0

// Package call calls any method of the API from a shell: JSON in, JSON out. It knows
// the methods from the protos that are linked in, so that it needs no reflection, and
// takes the token of `seafront up` from its data directory by itself.
package call

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/seafront-cdn/seafront/pkg/program"
	"github.com/seafront-cdn/seafront/pkg/rpc"
	_ "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1" // methods that can be called
	_ "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
	_ "github.com/seafront-cdn/seafront/proto/gen/seafront/origin/v1"
)

// Config is what `seafront call` can be told. Its tags are the flags.
type Config struct {
	Method  string `arg:"" optional:"" help:"Service/Method, with or without the package. Without it the methods are listed."`
	Request string `arg:"" optional:"" default:"{}" help:"The request in JSON. - reads it from standard input."`
	Target  string `help:"Address of the server." default:"127.0.0.1:7400" env:"SEAFRONT_TARGET"`
	Data    string `help:"Data directory of seafront up, whose token is used for a server on this machine unless --token-file names one." default:".seafront" type:"path" env:"SEAFRONT_DATA"`

	program.Client `embed:"" envprefix:"SEAFRONT_CLIENT_"`
}

// Run makes the call and prints each message of the answer. in is standard input.
func Run(ctx context.Context, c Config, in io.Reader, out io.Writer) error {
	if c.Method == "" {
		_, err := fmt.Fprintln(out, strings.Join(methods(), "\n"))
		return err
	}
	m, err := find(c.Method)
	if err != nil {
		return err
	}
	req, err := request(m, c.Request, in)
	if err != nil {
		return err
	}
	conn, err := c.dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return explain(invoke(ctx, conn, m, req, out))
}

// dial connects with the token that there is.
func (c Config) dial() (*grpc.ClientConn, error) {
	if own := filepath.Join(c.Data, "token"); c.TokenFile == "" && rpc.IsLoopback(c.Target) {
		if _, err := os.Stat(own); err == nil {
			c.TokenFile = own
		}
	}
	cfg, err := c.Config(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return rpc.Dial(c.Target, cfg)
}

// services calls with each service of the API.
func services(with func(protoreflect.ServiceDescriptor)) {
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			if s := f.Services().Get(i); strings.HasPrefix(string(s.FullName()), "seafront.") {
				with(s)
			}
		}
		return true
	})
}

// methods are all methods, sorted.
func methods() []string {
	var all []string
	services(func(s protoreflect.ServiceDescriptor) {
		for i := range s.Methods().Len() {
			all = append(all, string(s.FullName())+"/"+string(s.Methods().Get(i).Name()))
		}
	})
	slices.Sort(all)
	return all
}

// find is the method of that name.
func find(name string) (found protoreflect.MethodDescriptor, err error) {
	service, method, ok := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	if !ok {
		return nil, fmt.Errorf("%q is not Service/Method; `seafront call` lists all methods", name)
	}
	services(func(s protoreflect.ServiceDescriptor) {
		if string(s.FullName()) == service || string(s.Name()) == service {
			if m := s.Methods().ByName(protoreflect.Name(method)); m != nil {
				found = m
			}
		}
	})
	if found == nil {
		return nil, fmt.Errorf("there is no method %s; `seafront call` lists all methods", name)
	}
	return found, nil
}

// mostRequest is how large a request may be, in bytes: what servers take.
const mostRequest = 4 << 20

func request(m protoreflect.MethodDescriptor, text string, in io.Reader) (proto.Message, error) {
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(in, mostRequest+1))
		if err != nil {
			return nil, fmt.Errorf("read the request: %w", err)
		}
		if len(b) > mostRequest {
			return nil, errors.New("the request is larger than 4 MiB")
		}
		text = string(b)
	}
	req := dynamicpb.NewMessage(m.Input())
	if err := protojson.Unmarshal([]byte(text), req); err != nil {
		return nil, fmt.Errorf("the request is no %s: %w", m.Input().Name(), err)
	}
	return req, nil
}

// invoke makes a call and prints what comes until the end.
func invoke(ctx context.Context, conn *grpc.ClientConn, m protoreflect.MethodDescriptor, req proto.Message, out io.Writer) error {
	name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
	if !m.IsStreamingServer() {
		res := dynamicpb.NewMessage(m.Output())
		if err := conn.Invoke(ctx, name, req, res); err != nil {
			return err
		}
		return show(res, out)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, name)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(req); err != nil && !errors.Is(err, io.EOF) { // EOF: the answer tells
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		res := dynamicpb.NewMessage(m.Output())
		err := stream.RecvMsg(res)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := show(res, out); err != nil {
			return err
		}
	}
}

func show(m proto.Message, out io.Writer) error {
	_, err := fmt.Fprintln(out, protojson.MarshalOptions{Multiline: true, Indent: "  "}.Format(m))
	return err
}

// explain makes of a status what a person needs: code, reason, message and each bad
// field.
func explain(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	text := s.Message()
	code := s.Code().String()
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			code += " " + d.GetReason()
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				text += fmt.Sprintf("\n  %s: %s", v.GetField(), v.GetDescription())
			}
		}
	}
	return fmt.Errorf("%s: %s", code, text)
}
