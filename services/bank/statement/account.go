package statement

import (
	"math/big"
	"regexp"
	"slices"
	"strings"

	errorsv1 "github.com/cagnotte/cagnotte/proto/cagnotte/errors/v1"
)

// part is what a file says of one account and one period, before it is read whole.
type part struct {
	// account is the number of its account in the form of [CompactAccount], an IBAN where the file tells one.
	account string
	// parse reads the movements. The number of the part in the file is for errors.
	parse func(number int) (*Statement, error)
}

// choose reads the parts of the account that is meant, which may be empty when the file has only one.
func choose(parts []part, account string) (Contents, error) {
	var accounts []string
	// Every part must name its account, also those that are not read: else money of another account might be booked.
	for i, p := range parts {
		if p.account == "" || len(p.account) > 40 {
			return Contents{}, unreadable("statement %d names no account", i+1)
		}
		if !slices.Contains(accounts, p.account) {
			accounts = append(accounts, p.account)
		}
	}
	if len(parts) == 0 {
		return Contents{}, with(unreadable("it holds no statement"), Problem{Kind: ProblemEmpty})
	}
	// told is the number under which the caller knows the account, which may be another than the file's.
	told := account
	switch {
	case account == "" && len(accounts) > 1:
		return Contents{}, with(refused(errorsv1.ErrorReason_STATEMENT_ACCOUNTS, "account",
			"is required, since the file has several accounts: "+strings.Join(accounts, ", ")), Problem{Kind: ProblemAccounts, Accounts: accounts})
	case account == "":
		told, account = accounts[0], accounts[0]
	default:
		meant := slices.DeleteFunc(slices.Clone(accounts), func(a string) bool { return !sameAccount(a, account) })
		// The account in the settings, or the one that the caller named, is not in the file, or might be two.
		if len(meant) != 1 {
			return Contents{}, errOtherAccount(accounts...)
		}
		account = meant[0]
	}
	contents := Contents{OtherAccounts: slices.DeleteFunc(accounts, func(a string) bool { return a == account })}
	movements := 0
	for i, p := range parts {
		if p.account != account {
			continue
		}
		parsed, err := p.parse(i + 1)
		if err != nil {
			return Contents{}, err
		}
		// A batch is one entry and many movements, so they are counted once they are parsed.
		if movements += len(parsed.Movements); movements > maxMovements {
			return Contents{}, with(unreadable("it has more than %d movements", maxMovements), Problem{Kind: ProblemTooLarge})
		}
		parsed.Account = told
		contents.NotBooked += parsed.notBooked
		contents.Statements = append(contents.Statements, *parsed)
	}
	return contents, nil
}

// sameAccount compares the number of an account in a file with the one that is meant. A file may have the number within the
// IBAN alone; a short one would fit too many accounts.
func sameAccount(inFile, meant string) bool {
	if inFile == meant {
		return true
	}
	const least = 8
	if !validIBAN(meant) || validIBAN(inFile) {
		return false
	}
	number := strings.TrimLeft(inFile, "0")
	// The number of a French account is followed by two digits of its key.
	return len(number) >= least && (strings.HasSuffix(meant, number) || meant[:2] == "FR" && strings.HasSuffix(meant[:len(meant)-2], number))
}

// validIBAN checks the form and the two check digits (ISO 13616).
func validIBAN(text string) bool {
	return ibanForm.MatchString(text) && remainder97(text[4:]+text[:4]) == 1
}

// remainder97 is the remainder of a text by 97 when letters are numbers from 10 for A (ISO 7064).
func remainder97(text string) int64 {
	var digits strings.Builder
	for _, c := range text {
		if c >= 'A' && c <= 'Z' {
			digits.WriteString(big.NewInt(int64(c-'A') + 10).String())
		} else {
			digits.WriteRune(c)
		}
	}
	n, ok := new(big.Int).SetString(digits.String(), 10)
	if !ok {
		return -1
	}
	return n.Mod(n, big.NewInt(97)).Int64()
}

var ribForm = regexp.MustCompile(`^[0-9]{5}[0-9]{5}[0-9A-Z]{11}$`)

// frenchIBAN is the IBAN of bank, branch and account, whose keys are computed; false when these are not those of a French
// account.
func frenchIBAN(bank, branch, account string) (string, bool) {
	rib := CompactAccount(bank + branch + account)
	if !ribForm.MatchString(rib) {
		return "", false
	}
	// In the key of a RIB letters are the digits 1 to 9, by three groups of the alphabet.
	digits := strings.Map(func(c rune) rune {
		switch {
		case c >= 'A' && c <= 'I':
			return c - 'A' + '1'
		case c >= 'J' && c <= 'R':
			return c - 'J' + '1'
		case c >= 'S' && c <= 'Z':
			return c - 'S' + '2'
		}
		return c
	}, rib)
	two := func(n int64) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }
	bban := rib + two(97-remainder97(digits+"00"))
	return "FR" + two(98-remainder97(bban+"FR00")) + bban, true
}
