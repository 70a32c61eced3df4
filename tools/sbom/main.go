// Command sbom prints a CycloneDX list of the Go modules that are linked into
// binaries, from what the go command recorded in them:  sbom VERSION BINARY...
//
// cyclonedx-gomod describes a module or one binary. An archive holds several
// binaries; the module has dependencies that only its tests use.
package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

const name = "gitlab-ecr-executor"

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom VERSION BINARY...")
		os.Exit(2)
	}
	bom, err := describe(os.Args[1], os.Args[2:])
	if err == nil {
		err = cdx.NewBOMEncoder(os.Stdout, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// describe has no serial number and no time: the same binaries, the same list.
func describe(version string, files []string) (*cdx.BOM, error) {
	modules := map[string]cdx.Component{}
	var binaries []cdx.Component
	root := cdx.Dependency{Ref: name, Dependencies: &[]string{}}
	dependencies := []cdx.Dependency{}
	for _, file := range files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		binary := cdx.Component{
			BOMRef: "file:" + filepath.Base(file), Type: cdx.ComponentTypeFile, Name: filepath.Base(file), Version: version,
			Hashes: &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: fmt.Sprintf("%x", sha256.Sum256(data))}},
		}
		binaries = append(binaries, binary)
		*root.Dependencies = append(*root.Dependencies, binary.BOMRef)

		linked := []string{}
		for _, module := range append(info.Deps, standardLibrary(info)) {
			component, err := describeModule(module)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			modules[component.BOMRef] = component
			linked = append(linked, component.BOMRef)
		}
		slices.Sort(linked)
		dependencies = append(dependencies, cdx.Dependency{Ref: binary.BOMRef, Dependencies: &linked})
	}

	components := binaries
	for _, component := range modules {
		components = append(components, component)
	}
	slices.SortFunc(components, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	dependencies = append([]cdx.Dependency{root}, dependencies...)

	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{Component: &cdx.Component{
		BOMRef: name, Type: cdx.ComponentTypeApplication, Name: name, Version: version,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: "MIT"}}},
	}}
	bom.Components, bom.Dependencies = &components, &dependencies
	return bom, nil
}

func standardLibrary(info *buildinfo.BuildInfo) *debug.Module {
	return &debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}
}

func describeModule(module *debug.Module) (cdx.Component, error) {
	if module.Replace != nil {
		module = module.Replace
	}
	purl := "pkg:golang/" + module.Path + "@" + strings.ReplaceAll(module.Version, "+", "%2B")
	component := cdx.Component{
		BOMRef: purl, Type: cdx.ComponentTypeLibrary, Name: module.Path, Version: module.Version, PackageURL: purl,
	}
	if module.Sum == "" {
		return component, nil
	}
	// What go.sum calls h1 is a SHA-256 over the module's files, in base64.
	sum, ok := strings.CutPrefix(module.Sum, "h1:")
	if !ok {
		return component, errors.New(module.Path + ": unknown kind of checksum " + module.Sum)
	}
	hash, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, strings.NewReader(sum)))
	if err != nil {
		return component, fmt.Errorf("%s: %w", module.Path, err)
	}
	component.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(hash)}}
	return component, nil
}
