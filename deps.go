//go:build deps

// Package main, under a tag that no build sets: keeps modules required while the packages that use them are written.
package main

import (
	_ "github.com/a-h/templ"
	_ "github.com/chromedp/chromedp"
	_ "github.com/expr-lang/expr"
	_ "github.com/go-co-op/gocron/v2"
	_ "github.com/goccy/go-yaml"
	_ "github.com/golang-jwt/jwt/v5"
	_ "github.com/kardianos/service"
	_ "github.com/kluctl/go-embed-python/python"
	_ "github.com/parquet-go/parquet-go"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/robfig/cron/v3"
	_ "golang.org/x/crypto/bcrypt"
)
