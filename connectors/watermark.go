package connectors

import (
	"slices"
	"strings"
)

// watermarkNames are the names by which a column that says when a row changed
// is recognised, in order of priority, without underscores and case.
var watermarkNames = []string{"updatedat", "modifiedat", "lastmodified", "updated", "createdat"}

// WatermarkNames lists the recognised names as WatermarkRank compares them.
func WatermarkNames() []string { return slices.Clone(watermarkNames) }

// WatermarkRank is the priority of a column's name as a watermark, 0 the best;
// -1 when it is not a recognised one. created says that the name speaks of the
// row's birth only.
func WatermarkRank(name string) (rank int, created bool) {
	rank = slices.Index(watermarkNames, strings.ToLower(strings.ReplaceAll(name, "_", "")))
	return rank, rank == len(watermarkNames)-1
}
