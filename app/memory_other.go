//go:build !linux

package app

func releaseFile() {}
