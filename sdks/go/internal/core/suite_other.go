//go:build !unix

package core

import "io/fs"

// ownFile is false where the owner is not known: no file is trusted there.
func ownFile(fs.FileInfo) bool { return false }

func processRuns(int) bool { return false }
