package chart

// ticks returns round values of an axis from 0, at most n of them above it, the last of which is not below highest.
func ticks(highest int64, n int64) []int64 {
	step := roundUp((max(highest, 1) + n - 1) / n)
	all := []int64{0}
	for all[len(all)-1] < highest || len(all) == 1 {
		all = append(all, all[len(all)-1]+step)
	}
	return all
}

// roundUp returns the next of 1, 2, 5, 10, 20, 50 …
func roundUp(value int64) int64 {
	for power := int64(1); ; power *= 10 {
		for _, digit := range []int64{1, 2, 5} {
			// Far above any sum of money, the next power would not fit.
			if digit*power >= value || power > 100_000_000_000_000_000 {
				return digit * power
			}
		}
	}
}
