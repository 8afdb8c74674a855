// Package instance owns what the operator must know of the installation as a whole, and the checks of it.
package instance
