package backendtest

// Names are those of all subtests.
func Names() []string {
	var names []string
	for _, test := range subtests() {
		names = append(names, test.name)
	}
	return names
}
