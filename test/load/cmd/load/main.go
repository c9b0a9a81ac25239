// SPDX-License-Identifier: Apache-2.0

// Command load is package load as a program, so that benchmarks can give it a
// processor of its own: `load ask` runs a plan and prints the result as JSON, `load
// hold` keeps idle connections until its input ends, `load origin` is a fast origin,
// `load floor` is a server that answers whatever it reads with the bytes of a file.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/seafront-cdn/seafront/test/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("want ask, hold, origin or floor")
	}
	switch args[0] {
	case "ask":
		return ask(args[1:], out)
	case "hold":
		return hold(args[1:], in, out)
	case "origin":
		return origin(ctx, args[1:], out)
	case "floor":
		return floor(ctx, args[1:], out)
	}
	return fmt.Errorf("%q is not ask, hold, origin or floor", args[0])
}

// list is a flag that may be repeated.
type list []string

// String is part of flag.Value.
func (l *list) String() string { return strings.Join(*l, ", ") }

// Set is part of flag.Value.
func (l *list) Set(v string) error {
	*l = append(*l, v)
	return nil
}

func plan(name string, args []string) (load.Plan, error) {
	var p load.Plan
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.StringVar(&p.Address, "address", "", "host:port of the server")
	f.Var((*list)(&p.Sources), "source", "address to connect from; may be repeated")
	f.IntVar(&p.Connections, "connections", 1, "connections")
	f.StringVar(&p.Method, "method", "GET", "method")
	f.StringVar(&p.Host, "host", "localhost", "host")
	f.StringVar(&p.Target, "target", "/", "target; # is the number of the request")
	f.Var((*list)(&p.Fields), "field", "field line; may be repeated")
	f.IntVar(&p.First, "first", 0, "number of the first request")
	f.Float64Var(&p.Rate, "rate", 0, "requests a second; 0: as fast as answers come")
	f.DurationVar(&p.Duration, "duration", 0, "time to ask for")
	f.IntVar(&p.Count, "count", 0, "requests to ask")
	f.IntVar(&p.Status, "status", 200, "status of each answer")
	f.Int64Var(&p.Length, "length", -1, "length of each body; -1: any")
	return p, f.Parse(args)
}

func ask(args []string, out io.Writer) error {
	p, err := plan("ask", args)
	if err != nil {
		return err
	}
	r, err := load.Run(p)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(r)
}

// spareFiles are those that a process needs beside its connections.
const spareFiles = 1000

func hold(args []string, in io.Reader, out io.Writer) error {
	p, err := plan("hold", args)
	if err != nil {
		return err
	}
	if _, err := load.Raise(uint64(max(p.Connections, 0)) + spareFiles); err != nil {
		return err
	}
	held, err := load.Hold(p)
	if err != nil {
		return err
	}
	defer held.Close()
	if _, err := fmt.Fprintln(out, "holding", p.Connections); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

func origin(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("origin", flag.ContinueOnError)
	address := f.String("address", "127.0.0.1:0", "address to listen on")
	if err := f.Parse(args); err != nil {
		return err
	}
	o, err := load.Listen(*address)
	if err != nil {
		return err
	}
	return serve(ctx, o, out)
}

func floor(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("floor", flag.ContinueOnError)
	address := f.String("address", "127.0.0.1:0", "address to listen on")
	file := f.String("answer", "", "file with the answer, its head and its body")
	if err := f.Parse(args); err != nil {
		return err
	}
	answer, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	s, err := load.ListenFloor(*address, answer)
	if err != nil {
		return err
	}
	return serve(ctx, s, out)
}

// serve tells where a server listens, and runs it.
func serve(ctx context.Context, s interface {
	Address() string
	Serve(ctx context.Context) error
}, out io.Writer,
) error {
	if _, err := fmt.Fprintln(out, s.Address()); err != nil {
		return err
	}
	return s.Serve(ctx)
}
