// SPDX-License-Identifier: Apache-2.0

// Package disk keeps records of bytes under keys in a directory, up to a limit in
// bytes: the disk tier of an edge's cache (design 3.8). It is a log of segment files.
// Records are appended to the newest; space is made by unlinking the oldest, after what
// is still wanted of it has been appended anew. A segment is never written over.
//
// It promises:
//   - A reader gets the bytes that were put under that very key, or nothing. The head
//     of a record is checked at every look, its body once in the life of a process,
//     before the first byte leaves; the whole key is compared.
//   - What was deleted before a Sync that succeeded does not come back: not after kill
//     -9, a full disk, or damage to one place of any file. Of what was put, anything may
//     be lost at any moment, and after a crash or damage an older record of the key may
//     be there instead, so records that belong together name their version.
//   - Put waits for no disk. What a disk is too slow for is dropped and counted.
//   - Everything in the directory counts against the limit, and so do unlinked segments
//     as long as somebody reads them; beyond a twentieth of the limit readers are told
//     to let go, those of the oldest segments first.
//   - A start reads index blocks of sealed segments and unsealed segments only, in the
//     background; what is not read yet is a miss. After a clean stop it reads one file.
//   - A disk that fails again and again is taken out of service until the next start:
//     everything is a miss then.
//
// It does not know what a record is, whether it is fresh, or what invalidations are: it
// carries a Stamp for who does.
package disk
