package stripe

import (
	"time"
)

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// unixOrZero is the time of Unix seconds; zero when Stripe has none.
func unixOrZero(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return unix(seconds)
}

// endOfTimes is a second of the year 6325. Later values, such as milliseconds, cannot be stored.
const endOfTimes = 1 << 37

// createdOf reads the creation time of an object in any API version; zero when it is none.
func createdOf(member any) time.Time {
	seconds, ok := member.(float64)
	if !ok || seconds < 0 || seconds > endOfTimes {
		return time.Time{}
	}
	return unix(int64(seconds))
}
