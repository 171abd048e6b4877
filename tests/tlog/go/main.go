// The original authors' code, asked the same questions as ours: golang.org/x/mod/sumdb/tlog and note.
//
//	tlog SIZE   a tree whose entry i is the text of the number i; answers a line for each line of standard input:
//	            root N | record N I | tree N M | tiles N M
//	open VKEY   prints the text of the note on standard input if that key has signed it
//	sign SKEY   prints a note of the text on standard input
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	switch os.Args[1] {
	case "tlog":
		answer(number(os.Args[2]))
	case "open":
		verifier, err := note.NewVerifier(os.Args[2])
		check(err)
		opened, err := note.Open(input(), note.VerifierList(verifier))
		check(err)
		fmt.Print(opened.Text)
	case "sign":
		signer, err := note.NewSigner(os.Args[2])
		check(err)
		signed, err := note.Sign(&note.Note{Text: string(input())}, signer)
		check(err)
		os.Stdout.Write(signed)
	}
}

func answer(size int64) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for i := int64(0); i < size; i++ {
		hashes, err := tlog.StoredHashes(i, []byte(strconv.FormatInt(i, 10)), reader)
		check(err)
		stored = append(stored, hashes...)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); fmt.Fprintln(out) {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "root":
			root, err := tlog.TreeHash(number(words[1]), reader)
			check(err)
			fmt.Fprintf(out, "%x", root[:])
		case "record":
			proof, err := tlog.ProveRecord(number(words[1]), number(words[2]), reader)
			check(err)
			for _, hash := range proof {
				fmt.Fprintf(out, "%x", hash[:])
			}
		case "tree":
			proof, err := tlog.ProveTree(number(words[1]), number(words[2]), reader)
			check(err)
			for _, hash := range proof {
				fmt.Fprintf(out, "%x", hash[:])
			}
		case "tiles":
			for _, tile := range tlog.NewTiles(8, number(words[1]), number(words[2])) {
				data, err := tlog.ReadTileData(tile, reader)
				check(err)
				fmt.Fprintf(out, "%s %x ", tile.Path(), sha256.Sum256(data))
			}
		}
	}
}

func number(text string) int64 {
	value, err := strconv.ParseInt(text, 10, 64)
	check(err)
	return value
}

func input() []byte {
	data, err := io.ReadAll(os.Stdin)
	check(err)
	return data
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
