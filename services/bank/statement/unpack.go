package statement

import (
	"archive/zip"
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
)

const (
	// maxUnpacked is how large the files in an archive may be together, and maxPacked how many there may be.
	maxUnpacked = 16 << 20
	maxPacked   = 100
)

var zipHead = []byte("PK\x03\x04")

// unpack returns the content itself, that of the files in a ZIP archive, or the table of a workbook as CSV. Several files in
// an archive are read as one, one behind the other, as far as their format has no head of its own.
func unpack(content []byte) ([]byte, error) {
	if !bytes.HasPrefix(content, zipHead) {
		return content, nil
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, with(unreadable("its archive is broken"), Problem{Kind: ProblemBroken})
	}
	var files [][]byte
	left := int64(maxUnpacked)
	if slices.ContainsFunc(archive.File, func(f *zip.File) bool { return f.Name == "xl/workbook.xml" }) {
		return workbook(content)
	}
	for _, f := range archive.File {
		name := path.Base(f.Name)
		// What operating systems add to archives is no file of the bank.
		if f.FileInfo().IsDir() || strings.HasPrefix(name, ".") || strings.HasPrefix(f.Name, "__MACOSX/") {
			continue
		}
		if len(files) == maxPacked {
			return nil, with(unreadable("its archive has more than %d files", maxPacked), Problem{Kind: ProblemTooLarge})
		}
		one, err := unpackFile(f, left)
		if err != nil {
			return nil, err
		}
		left -= int64(len(one))
		files = append(files, one)
	}
	switch len(files) {
	case 0:
		return nil, with(unreadable("its archive is empty"), Problem{Kind: ProblemEmpty})
	case 1:
		if bytes.HasPrefix(files[0], zipHead) {
			// A workbook in an archive is one more step; an archive in an archive is refused by it.
			return workbook(files[0])
		}
		return files[0], nil
	}
	format := formatOf(files[0])
	for _, f := range files {
		if other := formatOf(f); other != format || !other.joins() {
			return nil, with(unreadable("its archive has several files that cannot be read as one: send each by itself"), Problem{Kind: ProblemAmbiguous})
		}
	}
	return bytes.Join(files, []byte("\n")), nil
}

func unpackFile(f *zip.File, left int64) ([]byte, error) {
	tooLarge := with(unreadable("the files in its archive are too large"), Problem{Kind: ProblemTooLarge})
	// The head may lie about the size, so what is read is bounded too.
	if f.UncompressedSize64 > uint64(left) {
		return nil, tooLarge
	}
	r, err := f.Open()
	if err != nil {
		return nil, with(unreadable("a file in its archive cannot be read: it may need a password"), Problem{Kind: ProblemBroken})
	}
	defer r.Close()
	content, err := io.ReadAll(io.LimitReader(r, left+1))
	if err != nil {
		return nil, with(unreadable("a file in its archive is broken"), Problem{Kind: ProblemBroken})
	}
	if int64(len(content)) > left {
		return nil, tooLarge
	}
	return content, nil
}
