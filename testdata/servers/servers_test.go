package servers

import (
	"context"
	"database/sql"
	"net/url"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

func TestPostgresDatabase(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), PostgresDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	// It stays open: dropping the database has to end it.
	var version, database string
	var super bool
	err = conn.QueryRow(t.Context(), "SELECT version(), current_database(), rolsuper FROM pg_roles WHERE rolname = current_user").
		Scan(&version, &database, &super)
	if err != nil {
		t.Fatal(err)
	}
	if !super {
		t.Error("the account is not a superuser")
	}
	t.Logf("%s, database %s", version, database)
}

func TestPostgresAsksForThePassword(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), "wrong")
	conn, err := pgx.Connect(t.Context(), u.String())
	if err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password was accepted")
	}
}

func TestMariaDBDatabase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		create      func(testing.TB) string
		localInfile bool
	}{
		{"local infile", MariaDBDatabase, true},
		{"no local infile", MariaDBNoLocalDatabase, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// Closed after the database is dropped, which therefore has to break the open transaction.
			var db *sql.DB
			t.Cleanup(func() {
				if db != nil {
					_ = db.Close()
				}
			})
			db, err := openMariaDB(tt.create(t))
			if err != nil {
				t.Fatal(err)
			}
			var version, database string
			var localInfile bool
			err = db.QueryRowContext(t.Context(), "SELECT version(), database(), @@local_infile").Scan(&version, &database, &localInfile)
			if err != nil {
				t.Fatal(err)
			}
			if localInfile != tt.localInfile {
				t.Errorf("local_infile = %v, want %v", localInfile, tt.localInfile)
			}
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (n INT)"); err != nil {
				t.Fatal(err)
			}
			tx, err := db.BeginTx(context.WithoutCancel(t.Context()), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.ExecContext(t.Context(), "INSERT INTO t VALUES (1)"); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, database %s", version, database)
		})
	}
}

func TestClickHouse(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	hello, err := greetClickHouse(t.Context(), u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ClickHouse %s", hello.version)
}

func TestSharedData(t *testing.T) {
	t.Parallel()
	t.Logf("found %s", SharedData(t, "chinook"))
}

func TestMongoDBDatabase(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(MongoDBDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	client, err := mongo.Connect(options.Client().ApplyURI(u.String()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	collection := client.Database(u.Path[1:]).Collection("c")
	if _, err := collection.InsertOne(t.Context(), bson.D{{Key: "n", Value: 1}}); err != nil {
		t.Fatal(err)
	}
	n, err := collection.CountDocuments(t.Context(), bson.D{})
	if err != nil || n != 1 {
		t.Errorf("%d documents, %v, want 1", n, err)
	}
}
