package config

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

const (
	// maxDepth is far above the deepest declaration (8 levels) and far below
	// what a recursion could be hurt by.
	maxDepth = 64
	// maxNodes bounds what aliases expand to. A declaration of the largest
	// size without an alias stays under it.
	maxNodes = 1 << 20
)

// bounds walks the tree as the decoder will, through aliases, and stops at
// what would never end. It reports one problem, or nil.
type bounds struct {
	file  string
	nodes int
	// open are the collections that the walk is inside of.
	open map[*yaml.Node]bool
}

// checkBounds returns the first place where the tree is too deep, too large or
// a circle.
func checkBounds(file string, top *yaml.Node) *Problem {
	b := bounds{file: file, open: make(map[*yaml.Node]bool)}
	return b.walk(top, 1)
}

func (b *bounds) walk(n *yaml.Node, depth int) *Problem {
	place := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	b.nodes++
	switch {
	case b.open[n]:
		return b.problem(place, "the alias *%s stands inside of what it means, which never ends; write out what is meant here", place.Value)
	case depth > maxDepth:
		return b.problem(place, "nested deeper than %d levels; no declaration needs that", maxDepth)
	case b.nodes > maxNodes:
		return b.problem(place, "the aliases expand to more than %d values; use fewer of them", maxNodes)
	}
	if len(n.Content) == 0 {
		return nil
	}
	b.open[n] = true
	defer delete(b.open, n)
	for _, child := range n.Content {
		if p := b.walk(child, depth+1); p != nil {
			return p
		}
	}
	return nil
}

func (b *bounds) problem(n *yaml.Node, format string, args ...any) *Problem {
	return &Problem{File: b.file, Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...)}
}
