package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"
)

const (
	// keyPrefix makes a leaked key findable by secret scanners.
	keyPrefix   = "cag_"
	secretBytes = 32
	// secretChars is the length of secretBytes in base64url without padding.
	secretChars = 43
	maxIDChars  = 32
)

func joinKey(token, secret string) string { return keyPrefix + token + "_" + secret }

// splitCredential takes a key or a session's token apart by its form alone, so a malformed one costs no query.
func splitCredential(prefix, credential string) (token, secret string, ok bool) {
	rest, ok := strings.CutPrefix(credential, prefix)
	if !ok {
		return "", "", false
	}
	// The secret's alphabet holds the underscore, the id's does not.
	token, secret, ok = strings.Cut(rest, "_")
	if !ok || token == "" || len(token) > maxIDChars || len(secret) != secretChars {
		return "", "", false
	}
	for _, r := range token {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return "", "", false
		}
	}
	return token, secret, true
}

// hashSecret hashes the secret's text, not its decoded bytes: base64 lets several
// texts stand for the same bytes, and only the one that was given out may open.
func hashSecret(secret string) [sha256.Size]byte { return sha256.Sum256([]byte(secret)) }

func secretMatches(secret string, hash [sha256.Size]byte) bool {
	got := hashSecret(secret)
	return subtle.ConstantTimeCompare(got[:], hash[:]) == 1
}
