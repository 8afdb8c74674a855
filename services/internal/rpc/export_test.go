package rpc

// Writes reports whether a method changes something, and so has a rate when it is called with a key.
func Writes(method string) bool { return kinds[method].writes() }
