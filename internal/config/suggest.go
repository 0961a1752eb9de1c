package config

import "strings"

// suggest says which key somebody may have meant.
func (l *loader) suggest(section, name string) string {
	var there, elsewhere []string
	for _, k := range l.keys {
		if k.Section == section || section == "" && k.Legacy {
			there = append(there, k.Key)
		}
		if k.Section != section && strings.EqualFold(k.Key, name) {
			elsewhere = append(elsewhere, k.Name())
		}
	}
	if s := closest(name, there); s != "" {
		return s
	}
	if len(elsewhere) > 0 {
		return "; did you mean " + strings.Join(elsewhere, " or ") + "?"
	}
	return ""
}

// closest names the candidate that is at most a third of its letters away.
func closest(name string, candidates []string) string {
	best, distance := "", len(name)/3+1
	for _, c := range candidates {
		if d := editDistance(strings.ToLower(name), strings.ToLower(c)); d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance is Levenshtein's, over bytes. Long names are not worth the time.
func editDistance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
