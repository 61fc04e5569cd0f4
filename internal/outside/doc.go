// Package outside looks at the built program as its users do: it runs it, plays
// the consumers at its targets, and asks Qualytics by plain HTTP. None of the
// agent's code is in it, for what is checked must not check itself.
package outside
