package main

import "slices"

// catalog lists every mutant.
func catalog() []mutant {
	return slices.Concat(issuing, delivering, retiring, engine, emergencies, hooks, own, parting)
}
