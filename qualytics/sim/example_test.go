package sim_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/handover-agent/handover/qualytics/sim"
)

// A test mints a token by the API; the answer is lost, and the list shows what
// became of it.
func Example() {
	server, err := sim.New(sim.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = server.Close() }()
	admin, err := server.AdminToken("Handover Admin")
	if err != nil {
		fmt.Println(err)
		return
	}
	account, err := server.CreateAccount("Pipeline Automation", "Editor")
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: server.Transport()}
	mint := func() {
		body := fmt.Sprintf(`{"name": "pipeline-production", "user_id": %d, "expires_in_days": 365}`, account.UserID)
		r, _ := http.NewRequest(http.MethodPost, "https://acme.qualytics.test/api/user-tokens", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+admin.Reveal())
		resp, err := client.Do(r)
		if err != nil {
			fmt.Println("failed:", err)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		text, _ := io.ReadAll(resp.Body)
		fmt.Println(resp.StatusCode, string(text))
	}

	server.Inject(sim.Fault{Method: "POST", Path: "/user-tokens", Effect: sim.CommitThen(sim.Drop())})
	mint()
	mint()
	for _, token := range server.LiveTokens(account.ID) {
		fmt.Println(token.ID, token.Label, token.State)
	}
	// Output:
	// failed: Post "https://acme.qualytics.test/api/user-tokens": connection lost
	// 409 {"detail":"Token with name 'pipeline-production' already exists for this user"}
	// 5002 pipeline-production live
}
