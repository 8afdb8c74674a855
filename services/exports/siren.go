package exports

import "github.com/cagnotte/cagnotte/services/internal/errs"

// setSIREN refuses what is neither empty nor a SIREN, which is nine digits whose last one makes Luhn's sum a multiple of
// ten.
// https://www.insee.fr/fr/metadonnees/definition/c2047
func (x *export) setSIREN(siren string) error {
	if siren == "" {
		return nil
	}
	if !x.format.needsYear {
		return errs.Invalid("siren", "must be empty: it is for the FEC only")
	}
	sum := 0
	for i, digit := range []byte(siren) {
		if digit < '0' || digit > '9' {
			return invalidSIREN()
		}
		n := int(digit - '0')
		// Every second digit from the right but one counts twice.
		if i%2 == 1 {
			n *= 2
		}
		sum += n/10 + n%10
	}
	// The places are counted from the left above, which gives the same digits when there are nine.
	if len(siren) != 9 || sum%10 != 0 {
		return invalidSIREN()
	}
	x.siren = siren
	return nil
}

func invalidSIREN() error {
	return errs.Invalid("siren", "must be the nine digits of a SIREN, without spaces, or empty")
}
