package control

import (
	"slices"
	"sync"
	"time"

	"arus/app/engine"
	"arus/app/model"
)

// maxPhases is how many phases of a table are told apart: a load in many chunks
// changes between reading and committing all the time.
const maxPhases = 50

// phases watches when the tables of a run pass from one phase to the next.
type phases struct {
	now func() time.Time

	mu     sync.Mutex
	tables map[string]*tablePhases
}

type tablePhases struct {
	began time.Time
	list  []model.TablePhase
}

func newPhases(now func() time.Time) *phases {
	return &phases{now: now, tables: map[string]*tablePhases{}}
}

func (p *phases) see(ev engine.Event) {
	if ev.Table == "" || ev.Phase == engine.PhaseDone {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tables[ev.Table]
	if t == nil {
		t = &tablePhases{began: p.now()}
		p.tables[ev.Table] = t
	}
	last := len(t.list) - 1
	if last >= 0 && t.list[last].Phase == string(ev.Phase) || len(t.list) == maxPhases {
		return
	}
	at := p.now().Sub(t.began).Milliseconds()
	if last >= 0 {
		t.list[last].MS = at - t.list[last].AtMS
	}
	t.list = append(t.list, model.TablePhase{Phase: string(ev.Phase), AtMS: at})
}

// fill adds the phases so far to the figures of a table.
func (p *phases) fill(stat *model.RunTableStat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tables[stat.TableName]
	if t == nil {
		return
	}
	stat.StartedAt, stat.Phases = t.began, slices.Clone(t.list)
	if last := len(t.list) - 1; last >= 0 {
		stat.Phases[last].MS = p.now().Sub(t.began).Milliseconds() - stat.Phases[last].AtMS
	}
}
