package web

import (
	"cmp"
	"slices"
)

// graphBox is a thing to be placed: it has a size, and gets a place.
type graphBox struct {
	width, height float64
	x, y          float64
	layer         int
}

// The distances of the drawing.
const (
	layerGap = 110.0
	boxGap   = 22.0
	margin   = 16.0
)

// layOut places boxes in layers from left to right so that what feeds a box
// stands before it, and gives the size of the whole. An edge leads from one box
// to another by their places in the list; one that closes a circle is left out
// of account.
func layOut(boxes []graphBox, edges [][2]int) (width, height float64) {
	next, before := make([][]int, len(boxes)), make([][]int, len(boxes))
	for _, e := range forward(len(boxes), edges) {
		next[e[0]] = append(next[e[0]], e[1])
		before[e[1]] = append(before[e[1]], e[0])
	}
	layers := layersOf(boxes, next, before)
	rank := make([]float64, len(boxes)) // place within the layer
	for _, layer := range layers {
		for i, b := range layer {
			rank[b] = float64(i)
		}
	}
	for sweep := range 6 { // towards the mean place of what a box is connected with
		neighbours := before
		order := slices.Clone(layers)
		if sweep%2 == 1 {
			neighbours = next
			slices.Reverse(order)
		}
		for _, layer := range order {
			mean := func(b int) float64 {
				if len(neighbours[b]) == 0 {
					return rank[b]
				}
				sum := 0.0
				for _, n := range neighbours[b] {
					sum += rank[n]
				}
				return sum / float64(len(neighbours[b]))
			}
			want := map[int]float64{}
			for _, b := range layer {
				want[b] = mean(b)
			}
			slices.SortStableFunc(layer, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
			for i, b := range layer {
				rank[b] = float64(i)
			}
		}
	}
	x := margin
	for _, layer := range layers {
		wide, tall := 0.0, -boxGap
		for _, b := range layer {
			wide = max(wide, boxes[b].width)
			tall += boxes[b].height + boxGap
		}
		for _, b := range layer {
			boxes[b].x = x + (wide-boxes[b].width)/2
		}
		x += wide + layerGap
		height = max(height, tall)
	}
	for _, layer := range layers {
		tall := -boxGap
		for _, b := range layer {
			tall += boxes[b].height + boxGap
		}
		y := margin + (height-tall)/2
		for _, b := range layer {
			boxes[b].y = y
			y += boxes[b].height + boxGap
		}
	}
	return max(x-layerGap, 0) + margin, height + 2*margin
}

// forward leaves out the edges that close a circle, and those from a box to
// itself.
func forward(n int, edges [][2]int) [][2]int {
	next := make([][]int, n) // numbers of edges
	for i, e := range edges {
		if e[0] != e[1] {
			next[e[0]] = append(next[e[0]], i)
		}
	}
	const fresh, open, done = 0, 1, 2
	state := make([]int, n)
	var kept [][2]int
	var visit func(b int)
	visit = func(b int) {
		state[b] = open
		for _, i := range next[b] {
			to := edges[i][1]
			if state[to] == open {
				continue
			}
			kept = append(kept, edges[i])
			if state[to] == fresh {
				visit(to)
			}
		}
		state[b] = done
	}
	for b := range n {
		if state[b] == fresh {
			visit(b)
		}
	}
	return kept
}

// layersOf gives every box the length of the longest way that leads to it, and
// draws what feeds only one other up to it.
func layersOf(boxes []graphBox, next, before [][]int) [][]int {
	depth := make([]int, len(boxes))
	waiting := make([]int, len(boxes))
	var ready []int
	for b := range boxes {
		if waiting[b] = len(before[b]); waiting[b] == 0 {
			ready = append(ready, b)
		}
	}
	for len(ready) > 0 {
		b := ready[0]
		ready = ready[1:]
		for _, n := range next[b] {
			depth[n] = max(depth[n], depth[b]+1)
			if waiting[n]--; waiting[n] == 0 {
				ready = append(ready, n)
			}
		}
	}
	var layers [][]int
	for b := range boxes {
		if len(before[b]) == 0 && len(next[b]) > 0 { // a source stands right before what it feeds first
			least := depth[next[b][0]]
			for _, n := range next[b] {
				least = min(least, depth[n])
			}
			depth[b] = least - 1
		}
		boxes[b].layer = depth[b]
		for len(layers) <= depth[b] {
			layers = append(layers, nil)
		}
		layers[depth[b]] = append(layers[depth[b]], b)
	}
	return layers
}
