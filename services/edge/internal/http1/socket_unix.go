// SPDX-License-Identifier: Apache-2.0

//go:build unix && !(linux && (amd64 || arm64 || riscv64 || loong64))

package http1

import "syscall"

func receive(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }

func transmit(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
