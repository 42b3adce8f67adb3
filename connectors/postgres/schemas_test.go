package postgres

import (
	"slices"
	"testing"

	"arus/connectors"
	"arus/testdata/servers"
)

func TestSchemasAreThoseOfPeople(t *testing.T) {
	t.Parallel()
	url := servers.PostgresDatabase(t)
	cfg, err := connectors.Registry{"postgresql": New()}.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	source, err := New().OpenSource(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	got, err := source.(connectors.SchemaLister).Schemas(t.Context())
	if err != nil || !slices.Equal(got, []string{"public"}) {
		t.Errorf("%v, %v", got, err)
	}
}
