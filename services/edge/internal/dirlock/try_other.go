// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package dirlock

import "os"

func try(*os.File) (bool, error) { return false, ErrUnsupported }
