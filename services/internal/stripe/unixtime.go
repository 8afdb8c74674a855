package stripe

import (
	"time"
)

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// unixOrZero is unix of a time that may not be there.
func unixOrZero(seconds int64) time.Time {
	if seconds <= 0 {
		return time.Time{}
	}
	return unix(seconds)
}

// endOfTimes is a second of the year 6325: what is later, such as a time in milliseconds, could not be stored.
const endOfTimes = 1 << 37

// createdOf reads a time of an object in any version; zero for what is none.
func createdOf(member any) time.Time {
	seconds, ok := member.(float64)
	if !ok || seconds < 0 || seconds > endOfTimes {
		return time.Time{}
	}
	return unix(int64(seconds))
}
