package realtest

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

// image is a container to start.
type image struct {
	name  string
	cmd   []string
	port  string // "8200/tcp"
	ready wait.Strategy
	files []testcontainers.ContainerFile
}

// start runs the image until the test ends and returns host:port of its port.
// An error means that there is no Docker, or no such image.
func (i image) start(tb T) (address string, err error) {
	tb.Helper()
	defer func() { // testcontainers panics where it finds no Docker at all
		if r := recover(); r != nil {
			err = fmt.Errorf("no Docker: %v", r)
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := dockerAnswers(ctx); err != nil {
		return "", fmt.Errorf("no Docker: %w", err)
	}
	c, err := testcontainers.Run(ctx, i.name,
		testcontainers.WithLogger(quiet{}), // the first line of the log is the server's
		testcontainers.WithCmd(i.cmd...),
		testcontainers.WithExposedPorts(i.port),
		testcontainers.WithFiles(i.files...),
		testcontainers.WithHostConfigModifier(i.confine),
		testcontainers.WithWaitStrategyAndDeadline(startTimeout, i.ready),
	)
	tb.Cleanup(func() {
		if err := testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0)); err != nil {
			tb.Errorf("end %s: %v", i.name, err)
		}
	})
	if err != nil {
		return "", fmt.Errorf("start %s: %w%s", i.name, err, lastWords(c))
	}
	address, err = c.PortEndpoint(ctx, i.port, "")
	if err != nil {
		return "", fmt.Errorf("start %s: %w", i.name, err)
	}
	return address, nil
}

// confine publishes the port to this machine alone, and lets the server lock
// its memory.
func (i image) confine(h *container.HostConfig) {
	h.CapAdd = []string{"IPC_LOCK"}
	h.PortBindings = network.PortMap{
		network.MustParsePort(i.port): {{HostIP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}},
	}
}

func dockerAnswers(ctx context.Context) error {
	provider, err := testcontainers.ProviderDefault.GetProvider()
	if err != nil {
		return err
	}
	return provider.Health(ctx) // closes the provider too
}

// lastWords is what a container that didn't start had to say.
func lastWords(c *testcontainers.DockerContainer) string {
	if c == nil {
		return ""
	}
	logs, err := c.Logs(context.Background())
	if err != nil {
		return ""
	}
	defer func() { _ = logs.Close() }()
	text, _ := io.ReadAll(io.LimitReader(logs, 4<<10))
	return "\n" + string(text)
}

// quiet is a log for nobody.
type quiet struct{}

func (quiet) Printf(string, ...any) {}

// imageName is the pinned image, or what the environment names instead.
func imageName(variable, pinned string) string {
	if name := os.Getenv(variable); name != "" {
		return name
	}
	return pinned
}
