package config

import (
	"gopkg.in/yaml.v3"
)

// entry is one key of a mapping.
type entry struct {
	name       string
	key, value *yaml.Node
}

// entries lists the keys of a mapping, merged ones (<<) last, and reports keys
// that stand twice or aren't text. It reports false where n is no mapping.
func (d *decoder) entries(n *yaml.Node, path string) ([]entry, bool) {
	if n.Kind != yaml.MappingNode {
		what := "the declaration"
		if path != "" {
			what = lastKey(path)
		}
		d.report(n, path, "%s must be a mapping (lines of key: value), not %s", what, kindOf(n))
		return nil, false
	}
	var all []entry
	var merges []*yaml.Node
	seen := make(map[string]*yaml.Node)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := follow(key)
		switch {
		case name.Kind != yaml.ScalarNode:
			d.report(key, path, "a key must be text, not %s", kindOf(name))
		case name.ShortTag() == "!!merge":
			merges = append(merges, value)
		case name.ShortTag() != "!!str":
			d.report(key, path, "a key must be text, not %s; put it in quotes", kindOf(name))
		case d.leaks(key, path, name.Value):
		case seen[name.Value] != nil:
			d.report(key, join(path, name.Value), "the key %q stands here a second time (first in line %d); take one of them out",
				name.Value, seen[name.Value].Line)
		default:
			seen[name.Value] = key
			all = append(all, entry{name.Value, key, value})
		}
	}
	for _, merge := range merges {
		all = d.merge(all, seen, merge, path)
	}
	return all, true
}

// merge adds the keys of a merged mapping, or of a list of them, that aren't
// there yet: what stands nearer wins, as yaml.v3 has it.
func (d *decoder) merge(all []entry, seen map[string]*yaml.Node, from *yaml.Node, path string) []entry {
	source := follow(from)
	if source.Kind == yaml.SequenceNode {
		for _, one := range source.Content {
			if follow(one).Kind == yaml.SequenceNode {
				d.report(one, path, "<< takes a mapping or a list of mappings, not a list in a list")
				continue
			}
			all = d.merge(all, seen, one, path)
		}
		return all
	}
	if source.Kind != yaml.MappingNode {
		d.report(from, path, "<< takes a mapping or a list of mappings, not %s", kindOf(source))
		return all
	}
	merged, _ := d.entries(source, path)
	for _, e := range merged {
		if seen[e.name] == nil {
			seen[e.name] = e.key
			all = append(all, e)
		}
	}
	return all
}

// kindOf says in words what n is. It doesn't repeat the value.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!str":
		return "text"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "true or false"
	case "!!null":
		return "nothing"
	case "!!timestamp":
		return "a date"
	}
	return "a value with the tag " + n.Tag
}
