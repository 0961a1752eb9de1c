// Package api is the HTTP API in Go: types and client, generated from
// proto/openapi.yaml. The vocabulary itself is package scan; the generated names
// of those schemas are aliases of it.
package api

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../openapi.yaml
