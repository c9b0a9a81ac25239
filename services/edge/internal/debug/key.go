// SPDX-License-Identifier: Apache-2.0

package debug

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	edgev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/edge/v1"
)

// Inspector explains what an edge would do with a request; *inspect.Service is one.
type Inspector interface {
	InspectRequest(ctx context.Context, req *edgev1.InspectRequestRequest) (*edgev1.InspectRequestResponse, error)
}

// key is the page /debug/key: the answer of CacheService as JSON.
func (c Config) key(w http.ResponseWriter, r *http.Request) {
	req, err := ask(r.URL.Query())
	if err != nil {
		show(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	res, err := c.Inspect.InspectRequest(r.Context(), req)
	if err != nil {
		show(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	b, err := protojson.MarshalOptions{Multiline: true, Indent: "  ", UseProtoNames: true}.Marshal(res.GetInspection())
	if err != nil {
		show(w, http.StatusInternalServerError, map[string]string{"error": err.Error()})
		return
	}
	begin(w, http.StatusOK)
	_, _ = w.Write(append(b, '\n')) // whoever asked has left
}

// ask reads a question: url, method, and any number of header=Name:value.
func ask(q url.Values) (*edgev1.InspectRequestRequest, error) {
	out := &edgev1.InspectRequestRequest{Url: q.Get("url"), Method: strings.ToUpper(q.Get("method"))}
	for _, line := range q["header"] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, errors.New("header: want Name:value")
		}
		out.Headers = append(out.Headers, &edgev1.HeaderField{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
	return out, nil
}
