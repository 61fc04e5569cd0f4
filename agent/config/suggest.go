package config

import (
	"fmt"
	"strings"
)

// maxDistance is how many typing mistakes a suggestion may be away.
const maxDistance = 2

// Closest is the known word that was meant; "" when none is near.
func Closest(word string, known []string) string { return closest(word, known) }

// closest is the known word that was meant; "" when none is near.
func closest(word string, known []string) string {
	best, least := "", maxDistance+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least && d < len([]rune(k)) {
			best, least = k, d
		}
	}
	return best
}

// suggest says which of the known words was meant, or lists them after intro.
func suggest(word, intro string, known []string) string {
	if best := closest(word, known); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return intro + " " + strings.Join(known, ", ")
}

// distance is how many letters have to be put in, taken out, replaced or
// exchanged with their neighbour to make b of a. Words that are longer than any
// key of ours are not measured.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	if abs(len(from)-len(to)) > maxDistance {
		return maxDistance + 1
	}
	var before []int
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(from); i++ {
		next := make([]int, len(to)+1)
		next[0] = i
		for j := 1; j <= len(to); j++ {
			cost := 1
			if from[i-1] == to[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && from[i-1] == to[j-2] && from[i-2] == to[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(to)]
}

func abs(n int) int { return max(n, -n) }
