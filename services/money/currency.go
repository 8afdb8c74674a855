package money

import (
	"errors"
	"strings"
)

// ErrUnknownCurrency is the error for a code that is not one of ISO 4217, or not in upper case.
var ErrUnknownCurrency = errors.New("unknown currency")

// Currency is an ISO 4217 code in upper case, such as "EUR". The zero value is no currency.
type Currency string

// EUR is the currency of the collectives that Cagnotte was made for.
const EUR Currency = "EUR"

// Valid reports whether the currency is a code of ISO 4217 in use, in upper case. Stripe writes lower case: convert there.
func (c Currency) Valid() bool {
	_, known := lookUp(c)
	return known
}

// Exponent returns the number of decimals of the major unit: 2 for EUR, whose minor unit is the cent, 0 for JPY, 3 for
// KWD. It returns 2 for an unknown currency.
//
// It follows Stripe's list of zero-decimal and three-decimal currencies, which differs from ISO 4217 for ISK (2 instead of
// 0) and MGA (0 instead of 2).
// https://docs.stripe.com/currencies#zero-decimal
func (c Currency) Exponent() int {
	exponent, _ := lookUp(c)
	return exponent
}

func lookUp(c Currency) (exponent int, known bool) {
	if len(c) != 3 {
		return 2, false
	}
	switch {
	case listed(zeroDecimal, c):
		return 0, true
	case listed(threeDecimal, c):
		return 3, true
	}
	return 2, listed(twoDecimal, c)
}

// listed looks for a whole word: without the spaces, "EUR" would also be found across two codes.
func listed(codes string, c Currency) bool {
	return !strings.Contains(string(c), " ") && strings.Contains(codes, " "+string(c)+" ")
}

// The currencies in use, without the funds, metals and test codes of ISO 4217.
const (
	zeroDecimal = " BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF UGX VND VUV XAF XOF XPF "

	threeDecimal = " BHD IQD JOD KWD LYD OMR TND "

	twoDecimal = " AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD " +
		"CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD " +
		"HKD HNL HTG HUF IDR ILS INR IRR ISK JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL " +
		"MAD MDL MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR " +
		"RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS " +
		"UAH USD UYU UZS VES WST XCD XCG YER ZAR ZMW ZWG "
)
