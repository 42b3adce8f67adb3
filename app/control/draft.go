package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"arus/app/auth"
	"arus/connectors"
)

// Draft is how far somebody has come with setting up a pipeline, by the ids of
// what is made already. The tables are those that are ticked so far.
type Draft struct {
	Source      string
	Destination string
	Pipeline    string
	Run         string
	Tables      []connectors.TableRef
	Picked      bool // the tables are somebody's choice, also when there are none
}

// Draft is that of whoever asks; the zero Draft when there is none.
func (s *Service) Draft(ctx context.Context) (Draft, error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return Draft{}, err
	}
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	var d Draft
	err := s.readCache(draftName(ctx), &d)
	return d, err
}

// ChangeDraft changes the draft of whoever asks.
func (s *Service) ChangeDraft(ctx context.Context, change func(*Draft)) (Draft, error) {
	if err := s.may(ctx, auth.EditPipelines); err != nil {
		return Draft{}, err
	}
	s.known.mu.Lock()
	defer s.known.mu.Unlock()
	var d Draft
	if err := s.readCache(draftName(ctx), &d); err != nil {
		return d, err
	}
	change(&d)
	return d, s.writeCache(draftName(ctx), d)
}

func draftName(ctx context.Context) string {
	sum := sha256.Sum256([]byte(auth.ActorOf(ctx).ID))
	return "draft-" + hex.EncodeToString(sum[:12]) + ".json.gz"
}
