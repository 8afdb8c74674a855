// Package proof proves what stands in a book, and verifies such proofs without a database.
//
// # What it owns
//
//   - [Leaf], a sealed transaction, and its encoding, which is hashed. [LeafShare] is a leaf as one collective may see it.
//   - [Tree], the Merkle tree (RFC 6962) over the leaves of a book, and [Counts], how many transactions each collective has.
//   - [Checkpoint], a signed note that says the size and the root of the tree and the root of the counts; [Key] signs it.
//   - The files: [Writer] writes the archive of a book or the share of a collective, [VerifyArchive] verifies both.
//   - [Inclusion], the proof of one transaction, and its code, which [VerifyCode] verifies.
//   - [Verifier], which recomputes a book. It serves files and, in package ledger, the database.
//
// # What is always true
//
//   - Encodings are injective, and each begins with its version. So no two contents have one hash.
//   - A leaf hashes each collective's entries apart, under a salt that only the sealer stores. So the entries of one
//     collective are proven without those of the others, and nobody can guess the others' from their hashes.
//   - A file is read only as it was written, to the byte. So two readers cannot understand it differently.
//   - A verification without a verifier key proves nothing about who signed: the caller must know the key from elsewhere.
//
// # Neighbours
//
// It imports neither Postgres nor package ledger, nor anything under services/internal; imports_test.go keeps that. So
// the compiler proves that a file or a code can be verified without a database. Package ledger seals and stores, exports
// writes shares, and the commands `cagnotte ledger verify -from-export` and `cagnotte ledger verify-proof` verify.
package proof
