package embed

import "embed"

// Static holds what browsers get: style sheets, scripts and icons under "static/". What came from npm is listed in
// static/VERSIONS and fetched by testdata/assets/fetch.sh.
//
//go:embed static
var Static embed.FS
