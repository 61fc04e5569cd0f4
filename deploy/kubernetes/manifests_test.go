// Package kubernetes_test holds the manifests to the API's own types, and to what
// the program does.
package kubernetes_test

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/backends/all"
	"github.com/handover-agent/handover/backends/file"
)

// kustomization is the part of Kustomize's file that is used here.
type kustomization struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Namespace  string   `json:"namespace"`
	Resources  []string `json:"resources"`
	ConfigMaps []struct {
		Name  string   `json:"name"`
		Files []string `json:"files"`
	} `json:"configMapGenerator"`
	Generator struct {
		DisableNameSuffixHash bool `json:"disableNameSuffixHash"`
	} `json:"generatorOptions"`
	Images []struct {
		Name    string `json:"name"`
		NewName string `json:"newName"`
		NewTag  string `json:"newTag"`
	} `json:"images"`
}

// strictly decodes a file; a key that the type doesn't have is an error.
func strictly[T any](t *testing.T, name string) T {
	t.Helper()
	var into T
	text, err := os.ReadFile(name)
	if err == nil {
		err = yaml.UnmarshalStrict(text, &into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return into
}

// TestStrictly: a mistake in a key is found.
func TestStrictly(t *testing.T) {
	var d appsv1.Deployment
	if err := yaml.UnmarshalStrict([]byte("kind: Deployment\nspec: {replica: 1}"), &d); err == nil {
		t.Error("an unknown key is accepted")
	}
}

// TestKustomizations: they list just the files that are there, each of a kind
// that is decoded strictly.
func TestKustomizations(t *testing.T) {
	for _, dir := range []string{"agent", "follower"} {
		k := strictly[kustomization](t, filepath.Join(dir, "kustomization.yaml"))
		if k.APIVersion != "kustomize.config.k8s.io/v1beta1" || k.Kind != "Kustomization" || k.Namespace == "" {
			t.Errorf("%s: %+v", dir, k)
		}
		want := append([]string{"kustomization.yaml"}, k.Resources...)
		for _, m := range k.ConfigMaps {
			want = append(want, m.Files...)
		}
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range found {
			found[i] = path.Base(found[i])
		}
		slices.Sort(want)
		if !slices.Equal(found, want) {
			t.Errorf("%s has %q, and names %q", dir, found, want)
		}
		for _, image := range k.Images {
			if image.NewTag == "" || image.NewTag == "latest" {
				t.Errorf("%s: the image %s has no pinned tag", dir, image.Name)
			}
		}
		for _, name := range k.Resources {
			decode(t, filepath.Join(dir, name))
		}
	}
}

func decode(t *testing.T, name string) {
	t.Helper()
	kind, wrong := "", ""
	switch path.Base(name) {
	case "deployment.yaml":
		d := strictly[appsv1.Deployment](t, name)
		kind, wrong = d.APIVersion+" "+d.Kind, "apps/v1 Deployment"
	case "pvc.yaml":
		d := strictly[corev1.PersistentVolumeClaim](t, name)
		kind, wrong = d.APIVersion+" "+d.Kind, "v1 PersistentVolumeClaim"
	case "service.yaml":
		d := strictly[corev1.Service](t, name)
		kind, wrong = d.APIVersion+" "+d.Kind, "v1 Service"
	case "serviceaccount.yaml":
		d := strictly[corev1.ServiceAccount](t, name)
		kind, wrong = d.APIVersion+" "+d.Kind, "v1 ServiceAccount"
	default:
		t.Fatalf("%s is of no kind that this test knows", name)
	}
	if kind != wrong {
		t.Errorf("%s is %s, want %s", name, kind, wrong)
	}
}

// declared loads a declaration of the manifests.
func declared(t *testing.T, name string) config.Document {
	t.Helper()
	registry, err := all.Registry()
	if err != nil {
		t.Fatal(err)
	}
	d, err := config.LoadDocument(name, registry, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range d.Warnings() {
		t.Errorf("warning: %s", w)
	}
	return d
}

// mounted reports whether a path of a container stands on one of its volumes.
func mounted(c corev1.Container, file string) bool {
	return slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.SubPath == "" && (file == m.MountPath || strings.HasPrefix(file, m.MountPath+"/"))
	})
}

// unprivileged holds a container to the least that it needs.
func unprivileged(t *testing.T, pod corev1.PodSpec, c corev1.Container) {
	t.Helper()
	s := c.SecurityContext
	if pod.SecurityContext.RunAsNonRoot == nil || !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault ||
		s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		t.Errorf("%s has rights that it doesn't need: %+v", c.Name, s)
	}
	if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken {
		t.Errorf("%s gets a token for the API server", c.Name)
	}
}

// TestAgent: one at a time, with its journal on a disk that stays, and all that
// its declaration names in place.
func TestAgent(t *testing.T) {
	d := strictly[appsv1.Deployment](t, "agent/deployment.yaml")
	pod := d.Spec.Template.Spec
	if *d.Spec.Replicas != 1 || d.Spec.Strategy.Type != appsv1.RecreateDeploymentStrategyType {
		t.Errorf("%d agents by %s", *d.Spec.Replicas, d.Spec.Strategy.Type)
	}
	c := pod.Containers[0]
	unprivileged(t, pod, c)
	agent := declared(t, "agent/agent.yaml").Agent
	for _, file := range []string{agent.State.SQLite, agent.Agent.Socket, agent.Qualytics.Credential.File, "/etc/handover/agent.yaml",
		"/var/run/secrets/vault-ca/ca.crt", "/var/run/secrets/vault/token"} {
		if !mounted(c, file) {
			t.Errorf("%s stands on no volume", file)
		}
	}
	state := volumeAt(t, pod, c, agent.State.SQLite)
	claim := strictly[corev1.PersistentVolumeClaim](t, "agent/pvc.yaml")
	if state.PersistentVolumeClaim == nil || state.PersistentVolumeClaim.ClaimName != claim.Name {
		t.Errorf("the journal stands on %+v", state)
	}
	port := c.Ports[0]
	if !strings.HasSuffix(agent.Agent.Listen, ":9632") || port.ContainerPort != 9632 || c.ReadinessProbe.HTTPGet.Path != "/readyz" ||
		c.LivenessProbe.HTTPGet.Path != "/livez" || c.LivenessProbe.HTTPGet.Port.StrVal != port.Name {
		t.Errorf("the probes don't ask where the agent listens: %s, %+v", agent.Agent.Listen, c.ReadinessProbe)
	}
	if d.Spec.Template.Spec.TerminationGracePeriodSeconds == nil || *pod.TerminationGracePeriodSeconds < 60 {
		t.Error("an act under way may be killed")
	}
	service := strictly[corev1.Service](t, "agent/service.yaml")
	for key, value := range service.Spec.Selector {
		if d.Spec.Template.Labels[key] != value {
			t.Errorf("the service selects %s=%s, which no pod has", key, value)
		}
	}
	if k := strictly[kustomization](t, "agent/kustomization.yaml"); !k.Generator.DisableNameSuffixHash || k.ConfigMaps[0].Name != volumeAt(t, pod, c, "/etc/handover/agent.yaml").ConfigMap.Name {
		t.Error("a changed declaration wouldn't reach the running agent")
	}
}

func volumeAt(t *testing.T, pod corev1.PodSpec, c corev1.Container, file string) corev1.VolumeSource {
	t.Helper()
	for _, m := range c.VolumeMounts {
		if !strings.HasPrefix(file, m.MountPath+"/") {
			continue
		}
		for _, v := range pod.Volumes {
			if v.Name == m.Name {
				return v.VolumeSource
			}
		}
	}
	t.Fatalf("%s stands on no volume of the pod", file)
	return corev1.VolumeSource{}
}

// TestFollower: a native sidecar whose startup probe holds the consumer back
// until the first value is there, and which has nothing of an agent's.
func TestFollower(t *testing.T) {
	d := strictly[appsv1.Deployment](t, "follower/deployment.yaml")
	pod := d.Spec.Template.Spec
	sidecar, consumer := pod.InitContainers[0], pod.Containers[0]
	unprivileged(t, pod, sidecar)
	if sidecar.RestartPolicy == nil || *sidecar.RestartPolicy != corev1.ContainerRestartPolicyAlways {
		t.Error("it is no native sidecar")
	}
	const own = "/etc/handover/follow.yaml"
	if !slices.Equal(sidecar.StartupProbe.Exec.Command, []string{"/handover", "healthcheck", "--config", own}) || !slices.Contains(sidecar.Args, own) || sidecar.Args[0] != "follow" {
		t.Errorf("the startup probe asks %q, and it runs %q", sidecar.StartupProbe.Exec.Command, sidecar.Args)
	}
	follower := declared(t, "follower/follow.yaml").Follower
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			t.Errorf("the follower's pod has the secret %s: it needs no credential", v.Secret.SecretName)
		}
	}
	for _, b := range follower.Backends {
		o, ok := b.Options.(*file.Options)
		if !ok {
			continue
		}
		if !mounted(sidecar, o.Dir) || !mounted(consumer, o.Dir) || slices.ContainsFunc(sidecar.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == o.Dir }) {
			t.Errorf("%s isn't a folder inside a volume of both containers", o.Dir)
		}
		if v := volumeAt(t, pod, sidecar, o.Dir); v.EmptyDir == nil || v.EmptyDir.Medium != corev1.StorageMediumMemory {
			t.Errorf("tokens stand on %+v", v)
		}
		if group := pod.SecurityContext.FSGroup; group == nil || o.Group != "65532" || *group != 65532 || *sidecar.SecurityContext.RunAsGroup != 65532 {
			t.Errorf("the files are for group %s, which the consumer isn't in", o.Group)
		}
	}
	if *d.Spec.Replicas < 2 {
		t.Error("one follower shows nothing of several")
	}
}

// TestOneDeliversWhatTheOtherFollows: agent and follower mean the same entry.
func TestOneDeliversWhatTheOtherFollows(t *testing.T) {
	agent, follower := declared(t, "agent/agent.yaml").Agent, declared(t, "follower/follow.yaml").Follower
	from := follower.Entries[0].From
	for _, account := range agent.Accounts {
		for _, token := range account.Tokens {
			for _, target := range token.Deliver {
				if target.Ref.Path == from.Ref.Path && target.FormatName == from.FormatName && account.ID == follower.Entries[0].AccountID {
					return
				}
			}
		}
	}
	t.Errorf("no target of the agent is %s in the format %s", from.Ref, from.FormatName)
}
