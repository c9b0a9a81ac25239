// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Modes of directories and files.
const (
	private     = 0o700
	mine        = 0o600
	anyone      = 0o755
	anyonesFile = 0o644
)

// containerUser is who programs run as in Seafront's images.
const containerUser = 65532

// folder is the directory of one part.
type folder struct {
	path string
	// contained: a container whose user is not the caller has to read it.
	contained bool
}

func (f folder) file(name string) string { return filepath.Join(f.path, name) }

// write puts a file in place, whole or not at all.
func (f folder) write(name string, content []byte) error {
	dirMode, mode := fs.FileMode(private), fs.FileMode(mine)
	given := f.contained && os.Geteuid() == 0
	if f.contained && !given {
		dirMode, mode = anyone, anyonesFile
	}
	if err := os.MkdirAll(f.path, dirMode); err != nil {
		return err
	}
	next := f.file(name + ".tmp")
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // left by a run that was cut off
	}
	if err := os.WriteFile(next, content, mine); err != nil {
		return err
	}
	// The umask does not count here.
	if err := errors.Join(os.Chmod(f.path, dirMode), os.Chmod(next, mode)); err != nil {
		return err
	}
	if given {
		if err := errors.Join(os.Chown(f.path, containerUser, containerUser), os.Chown(next, containerUser, containerUser)); err != nil {
			return err
		}
	}
	return os.Rename(next, f.file(name))
}

// key opens a private key or makes it.
func (f folder) key(name string, fresh func() (crypto.Signer, error)) (crypto.Signer, error) {
	raw, err := os.ReadFile(f.file(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		key, err := fresh()
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return key, f.write(name, encode("PRIVATE KEY", der))
	case err != nil:
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key in PEM", f.file(name))
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.file(name), err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s holds a key that signs nothing", f.file(name))
	}
	return signer, nil
}
