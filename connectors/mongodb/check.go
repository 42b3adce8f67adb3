package mongodb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"arus/connectors"
)

// dialer lets the driver dial through a function.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return d(ctx, network, address)
}

// check tests a connection in stages.
func check(ctx context.Context, cfg connectors.Config, opts connectors.CheckOptions) []connectors.Stage {
	t := connectors.NewStages(cfg, opts)
	ctx, cancel := t.Bound(ctx)
	defer cancel()
	h := &connectors.Handshake{Many: true}
	c, err := configure(cfg)
	if err != nil {
		kind := connectors.NetworkKind(err)
		if kind == "" {
			kind = connectors.KindInvalid
		}
		t.Settings(&connectors.Error{Kind: kind, Op: "connect to", Object: cfg.Address(), Hint: hintOf(err), Err: err})
	}
	s := &Source{address: c.address, user: c.user, login: c.login, password: cfg.Password}
	t.LookUp(ctx)
	_ = t.Connect(ctx, h, func(ctx context.Context) error { return s.tryConnect(ctx, c, h) })
	defer func() {
		if s.client != nil {
			_ = s.Close()
		}
	}()
	var version string
	t.Run(ctx, connectors.Stage{Name: connectors.StageDatabase}, func(ctx context.Context, found *connectors.Stage) error {
		var build struct {
			Version string `bson:"version"`
		}
		if err := s.database.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
			return s.fail(ctx, "look at", s.address, err)
		}
		version = "MongoDB " + build.Version
		found.Version, found.Detail = version, s.database.Name()
		return nil
	})
	t.Run(ctx, connectors.Stage{Name: connectors.StagePrivileges, As: connectors.AsSource}, func(ctx context.Context, found *connectors.Stage) error {
		return s.tryRead(ctx, opts.Tables, found)
	})
	t.Run(ctx, connectors.Stage{Name: connectors.StageVersion}, func(_ context.Context, found *connectors.Stage) error {
		found.Detail = version // the driver itself refuses servers that are too old
		return nil
	})
	t.Clock(ctx, func(ctx context.Context) (time.Time, error) {
		var hello struct {
			Now time.Time `bson:"localTime"`
		}
		err := s.database.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
		return hello.Now, s.fail(ctx, "ask the time of", s.address, err)
	})
	return t.List()
}

// tryConnect dials once before the driver, which would try a closed port again
// and again until its time is up; that is less than the stage's, so that it says why.
func (s *Source) tryConnect(ctx context.Context, c configuration, h *connectors.Handshake) error {
	if hosts := c.options.Hosts; len(hosts) == 1 {
		conn, err := h.Dial(ctx, "tcp", hosts[0])
		if err != nil {
			return s.connectError(ctx, err)
		}
		_ = conn.Close()
	}
	if config := c.options.TLSConfig; config != nil {
		h.Policy = connectors.TLSRequired
		c.options.SetTLSConfig(h.Watch(config))
	}
	c.options.SetDialer(dialer(h.Dial))
	if deadline, ok := ctx.Deadline(); ok {
		c.options.SetServerSelectionTimeout(time.Until(deadline) * 3 / 4)
	}
	var err error
	if s.client, err = mongo.Connect(c.options); err != nil {
		return s.connectError(ctx, err)
	}
	s.database = s.client.Database(c.database)
	if err := s.database.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Err(); err != nil {
		return s.connectError(ctx, err)
	}
	return nil
}

// tryRead reads one document's key of every collection that discovery finds.
func (s *Source) tryRead(ctx context.Context, filter connectors.TableFilter, found *connectors.Stage) error {
	admits, err := newMatcher(filter)
	if err != nil {
		return &connectors.Error{Kind: connectors.KindInvalid, Op: "list the collections of", Object: s.database.Name(), Err: err}
	}
	grant := []string{fmt.Sprintf(`db.getSiblingDB(%q).grantRolesToUser(%q, [{role: "read", db: %q}])`, s.login, s.user, s.database.Name())}
	remedy := func(err error) error {
		if connectors.KindOf(err) == connectors.KindPermission {
			found.Hint, found.Fix = "an administrator lets "+s.user+" read", grant
		}
		return err
	}
	cursor, err := s.database.ListCollections(ctx, bson.D{}, options.ListCollections().SetNameOnly(true).SetAuthorizedCollections(true))
	if err != nil {
		return remedy(s.fail(ctx, "list the collections of", s.database.Name(), err))
	}
	var listed []struct{ Name, Type string }
	if err := cursor.All(ctx, &listed); err != nil {
		return remedy(s.fail(ctx, "list the collections of", s.database.Name(), err))
	}
	var names []string
	for _, c := range listed {
		if strings.HasPrefix(c.Name, "system.") || c.Type == "view" && !filter.Views || !admits(connectors.TableRef{Name: c.Name}) ||
			len(filter.Names) > 0 && !slices.Contains(filter.Names, c.Name) {
			continue
		}
		err := s.database.Collection(c.Name).FindOne(ctx, bson.D{}, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
		if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			return remedy(s.fail(ctx, "read", c.Name, err))
		}
		names = append(names, c.Name)
	}
	for _, name := range filter.Names {
		if !slices.Contains(names, name) {
			return &connectors.Error{Kind: connectors.KindNotFound, Err: fmt.Errorf("the database has no collection %s that the user may see", name), Hint: "check the names, or discover the tables again"}
		}
	}
	if len(names) == 0 {
		found.Status, found.Detail, found.Hint = connectors.StageWarning, "there is no collection that the user may see", "check the name of the database and the user's roles"
		return nil
	}
	found.Detail = connectors.Count(len(names), "collection") + " may be read"
	return nil
}
