// SPDX-License-Identifier: Apache-2.0

// Package certificate is the CertificateService: it keeps the certificates of aliases
// (C1.28). Private keys are sealed before they are written and never returned (C8.102).
// A certificate that distributions refer to is not deleted, and not rotated to one that
// does not cover their aliases.
package certificate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/seafront-cdn/seafront/pkg/apierr"
	"github.com/seafront-cdn/seafront/pkg/cdn/keys"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules"
	"github.com/seafront-cdn/seafront/pkg/cdn/rules/pki"
	"github.com/seafront-cdn/seafront/pkg/collection"
	"github.com/seafront-cdn/seafront/pkg/records"
	"github.com/seafront-cdn/seafront/pkg/secret"
	configv1 "github.com/seafront-cdn/seafront/proto/gen/seafront/config/v1"
	storev1 "github.com/seafront-cdn/seafront/proto/gen/seafront/store/v1"
)

// Reasons of errors.
const (
	reasonMissing = "ENTITY_NOT_FOUND"
	reasonHeld    = "CERTIFICATE_IN_USE"    // C1.67
	reasonTooMany = "TOO_MANY_CERTIFICATES" // C2.309
)

// field is the field of requests that holds the certificate.
const field = "certificate"

// Server is a configv1.CertificateServiceServer.
type Server struct {
	configv1.UnimplementedCertificateServiceServer
	c  *collection.Collection[*configv1.Certificate]
	kv clientv3.KV
}

// New makes the service. most is how many certificates there may be, secrets the keys
// that seal private keys; without them certificates are refused.
func New(kv clientv3.KV, requests *records.Requests, most int64, secrets *secret.Keyring) *Server {
	s := &Server{kv: kv}
	s.c = collection.New(kv, requests, collection.Kind[*configv1.Certificate]{
		Collection: keys.Certificates, Field: field, Noun: "certificate",
		Missing: reasonMissing, Held: reasonHeld, TooMany: reasonTooMany, Most: most,
		NewID:   uuid.NewString,
		Default: pki.FillCertificate,
		Check:   func(c *configv1.Certificate) []rules.Violation { return pki.CheckCertificate(c, time.Now()) },
		Warn:    pki.CertificateWarnings,
		Join:    join,
		Seal: func(rec *storev1.Record, key string, c *configv1.Certificate) error {
			return records.Seal(secrets, rec, key, c, nil)
		},
		Show:      s.show,
		Updatable: []protoreflect.Name{"certificate_pem", "chain_pem", "private_key_pem"},
		Immutable: []protoreflect.Name{"labels", "comment"},
	})
	return s
}

// GetCertificate returns one.
func (s *Server) GetCertificate(ctx context.Context, req *configv1.GetCertificateRequest) (*configv1.GetCertificateResponse, error) {
	m, err := s.c.Get(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return &configv1.GetCertificateResponse{Certificate: m}, nil
}

// ListCertificates returns a page.
func (s *Server) ListCertificates(ctx context.Context, req *configv1.ListCertificatesRequest) (*configv1.ListCertificatesResponse, error) {
	page, next, err := s.c.List(ctx, collection.ListRequest[*configv1.Certificate]{
		Method: "ListCertificates", PageSize: req.GetPageSize(), Token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &configv1.ListCertificatesResponse{Certificates: page, NextPageToken: next}, nil
}

// ImportCertificate checks and writes a new one.
func (s *Server) ImportCertificate(ctx context.Context, req *configv1.ImportCertificateRequest) (*configv1.ImportCertificateResponse, error) {
	made, warnings, err := s.c.Create(ctx, req.GetCertificate(), "", collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.ImportCertificateResponse{Certificate: made, Warnings: warnings}, nil
}

// RotateCertificate puts another certificate and key in the place of the present ones
// (C1.81, C6.27).
func (s *Server) RotateCertificate(ctx context.Context, req *configv1.RotateCertificateRequest) (*configv1.RotateCertificateResponse, error) {
	made, warnings, err := s.c.Update(ctx, &configv1.Certificate{
		Name: req.GetName(), Etag: req.GetEtag(),
		CertificatePem: req.GetCertificatePem(), ChainPem: req.GetChainPem(), PrivateKeyPem: req.GetPrivateKeyPem(),
	}, &fieldmaskpb.FieldMask{Paths: []string{"certificate_pem", "chain_pem", "private_key_pem"}}, collection.Of(req))
	if err != nil {
		return nil, bare(err)
	}
	return &configv1.RotateCertificateResponse{Certificate: made, Warnings: warnings}, nil
}

// bare makes paths that begin at the certificate begin at the request, which holds the
// fields of a rotation itself.
func bare(err error) error {
	e, ok := errors.AsType[*apierr.Error](err)
	if !ok {
		return err
	}
	const prefix = field + "."
	for i := range e.Violations {
		e.Violations[i].Field = strings.TrimPrefix(e.Violations[i].Field, prefix)
	}
	if at, ok := e.Metadata["field"]; ok {
		e.Metadata["field"] = strings.TrimPrefix(at, prefix)
	}
	e.Message = strings.TrimPrefix(e.Message, prefix)
	return e
}

// DeleteCertificate removes one that nothing refers to.
func (s *Server) DeleteCertificate(ctx context.Context, req *configv1.DeleteCertificateRequest) (*configv1.DeleteCertificateResponse, error) {
	err := s.c.Delete(ctx, req.GetName(), req.GetEtag(), req.GetAllowMissing(), collection.Of(req))
	if err != nil {
		return nil, err
	}
	return &configv1.DeleteCertificateResponse{}, nil
}

// join demands that a certificate covers the aliases of all distributions that refer to
// it (C8.53, C2.43).
func join(ctx context.Context, m *configv1.Certificate, c *collection.Company) ([]rules.Violation, error) {
	var broken []string
	distributions := func(of keys.Collection) bool { return of == keys.Distributions }
	err := c.Referrers(ctx, distributions, func(_ keys.Collection, item records.Item) error {
		var d configv1.Distribution
		if err := item.Into(&d); err != nil {
			return err
		}
		uncovered := func(alias string) bool { return !pki.Covers(m.GetSubjectAlternativeNames(), alias) }
		if slices.ContainsFunc(d.GetConfig().GetAliases(), uncovered) {
			broken = append(broken, keys.Distributions.Name(keys.ID(item.Key)))
		}
		return nil
	})
	if err != nil || len(broken) == 0 {
		return nil, err
	}
	return nil, collection.HeldBy(reasonHeld, keys.Certificates.Name(c.ID), "would not cover the aliases of those who refer to it", broken)
}

// show fills what is computed. The private key is not in the record.
func (s *Server) show(ctx context.Context, c *configv1.Certificate, v records.Version) error {
	c.PrivateKeyPem = ""
	c.State = pki.State(c, time.Now())
	c.Generation = v.Generation
	id := strings.TrimPrefix(c.GetName(), keys.Certificates.Name(""))
	if id == "" {
		return nil
	}
	n, err := records.Count(ctx, s.kv, keys.RefsTo(keys.Certificates, id))
	c.ReferencedByCount = n
	return err
}
