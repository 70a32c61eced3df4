package plan

// EngineInfo is what an engine says of itself.
type EngineInfo struct {
	// Address is how it is reached, as DOCKER_HOST has it.
	Address string
	// Hostname and RootDir say where its data is.
	Hostname, RootDir string
	Version           string
	// APIVersion is the newest that it speaks.
	APIVersion    string
	StorageDriver string
	CgroupVersion string
}
