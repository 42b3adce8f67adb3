package notify

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"arus/app/control"
	"arus/app/model"
)

// Queue is what the Worker needs of the use cases.
type Queue interface {
	HearRuns(ctx context.Context) (queued int, err error)
	DueNotifications(ctx context.Context, limit int) (due []model.Notification, next time.Time, err error)
	SaveAttempt(ctx context.Context, n model.Notification) error
	TargetSecrets(ctx context.Context, id string) (model.NotificationTarget, map[string]string, error)
}

// Worker makes notifications of the runs that ended and delivers what is queued.
// Construct it with all fields set but Random, pass it the events and Run it once.
//
// A notification whose answer was lost, or was not written down because the
// program died in between, is sent again: targets are told at least once.
type Worker struct {
	Queue  Queue
	Sender control.Sender
	Log    *slog.Logger
	Now    func() time.Time
	Random func() float64 // in [0,1); nil: the real one

	once sync.Once
	wake chan struct{}
}

const (
	maxAttempts  = 12
	firstBackoff = 15 * time.Second
	mostBackoff  = time.Hour
	// mostAsked bounds the wait that a target may ask for.
	mostAsked = 24 * time.Hour
	// atOnce is how many notifications one pass takes, atATime how many targets
	// are spoken to at a time: one that hangs does not hold up the others.
	atOnce  = 100
	atATime = 4
	// lookEvery bounds how long what was missed stays unnoticed.
	lookEvery = time.Minute
	// spacing lets the ends of runs gather.
	spacing = time.Second
	// parting is how long an attempt may still take when the program ends, so that
	// an answer on its way is not lost.
	parting = 3 * time.Second
)

func (w *Worker) signal() chan struct{} {
	w.once.Do(func() { w.wake = make(chan struct{}, 1) })
	return w.wake
}

// Observe takes the events that give the worker something to do. It is quick.
func (w *Worker) Observe(e control.Event) {
	if e.Type != control.RunFinished && e.Type != control.ConfigChanged {
		return
	}
	select {
	case w.signal() <- struct{}{}:
	default:
	}
}

// Run delivers notifications until ctx ends.
func (w *Worker) Run(ctx context.Context) error {
	for {
		next, err := w.Pass(ctx)
		if err != nil && ctx.Err() == nil {
			w.Log.ErrorContext(ctx, "deliver notifications", "error", err)
		}
		wait := lookEvery
		if !next.IsZero() {
			wait = min(wait, max(spacing, next.Sub(w.Now())))
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-w.signal():
			timer.Reset(spacing)
			select {
			case <-ctx.Done():
				timer.Stop()
				return nil
			case <-timer.C:
			}
		}
	}
}

// Pass makes notifications of the runs that ended and delivers, once each, those
// that are due; next is when another one is.
func (w *Worker) Pass(ctx context.Context) (next time.Time, err error) {
	if _, err := w.Queue.HearRuns(ctx); err != nil {
		return next, err
	}
	due, next, err := w.Queue.DueNotifications(ctx, atOnce)
	if err != nil || len(due) == 0 {
		return next, err
	}
	if len(due) == atOnce {
		next = w.Now()
	}
	// Each target gets its notifications in their order.
	var order []string
	byTarget := map[string][]model.Notification{}
	for _, n := range due {
		if byTarget[n.TargetID] == nil {
			order = append(order, n.TargetID)
		}
		byTarget[n.TargetID] = append(byTarget[n.TargetID], n)
	}
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	slots := make(chan struct{}, atATime)
	for _, id := range order {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			for _, n := range byTarget[id] {
				again, err := w.deliver(ctx, n)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				}
				if !again.IsZero() && (next.IsZero() || again.Before(next)) {
					next = again
				}
				mu.Unlock()
				if ctx.Err() != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return next, errors.Join(errs...)
}

// deliver makes one attempt; again is when the next one is due.
func (w *Worker) deliver(ctx context.Context, n model.Notification) (again time.Time, err error) {
	t, secrets, err := w.Queue.TargetSecrets(ctx, n.TargetID)
	n.Attempts++
	n.NextAttemptAt = time.Time{}
	switch {
	case control.IsNotFound(err):
		n.Status, n.Answer = model.DeliveryFailed, "the target was removed"
	case err != nil:
		return again, err
	case !t.Active:
		n.Status, n.Answer = model.DeliveryFailed, "the target is not active"
	default:
		attempt, end := outlive(ctx, parting)
		said, err := w.Sender.Send(attempt, t, secrets, n)
		given := attempt.Err() != nil
		end()
		if given && err != nil { // the program ends; it was not the target's fault
			return again, nil
		}
		if err == nil {
			n.Status, n.Answer = model.DeliverySent, said
			break
		}
		n.Answer = err.Error()
		f, _ := errors.AsType[*failure](err)
		if f != nil && f.final || n.Attempts >= maxAttempts {
			n.Status = model.DeliveryFailed
			w.Log.WarnContext(ctx, "a notification was not delivered", "target", t.Name, "event", n.Event, "attempts", n.Attempts, "answer", n.Answer)
			break
		}
		wait := w.backoff(n.Attempts)
		if f != nil {
			wait = max(wait, min(f.after, mostAsked))
		}
		n.NextAttemptAt = w.Now().Add(wait)
		again = n.NextAttemptAt
	}
	return again, w.Queue.SaveAttempt(context.WithoutCancel(ctx), n)
}

// outlive is a context that ends a while after another one does.
func outlive(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var timer *time.Timer
	var mu sync.Mutex
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(while, cancel)
	})
	return longer, func() {
		stop()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
	}
}

// backoff is a random part of a wait that doubles with each attempt.
func (w *Worker) backoff(attempts int) time.Duration {
	random := rand.Float64
	if w.Random != nil {
		random = w.Random
	}
	most := min(mostBackoff, firstBackoff<<min(attempts-1, 16))
	return max(time.Second, time.Duration(random()*float64(most)))
}
