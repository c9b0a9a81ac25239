// SPDX-License-Identifier: Apache-2.0

package records

// ParseToken is parseToken for the fuzzer.
var ParseToken = parseToken
