// Package rotationtest holds what tests of rotation are made of: the rules that
// every Journal keeps, and a Journal in memory that can be lost, restored and
// taken over.
package rotationtest
