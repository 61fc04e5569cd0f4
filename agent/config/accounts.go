package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/handover-agent/handover/rotation"
)

// emptyID is what AccountID makes of a name without a letter or digit.
var emptyID = rotation.AccountID("")

// vagueName are names that say nothing of what the account is for
// (qualytics-api.md: service1, temp, test123).
var vagueName = regexp.MustCompile(`(?i)^(my|new|the|a)?[ _-]*(service|temp|tmp|test|testing|account|user|bot|api|token|foo|bar|default)[ _-]*(account|user|token)?[ _-]*[0-9]*$`)

// generationDigits is the longest a generation gets in a label.
const generationDigits = 20

func (c *checker) accounts(file *fileKeys, agentID string) []Account {
	if len(file.Accounts) == 0 && !c.bad["accounts"] {
		c.doubt("accounts", "no account is declared, so the agent has nothing to do")
	}
	ids := make(map[string]int)
	accounts := make([]Account, 0, len(file.Accounts))
	for i, keys := range file.Accounts {
		path := fmt.Sprintf("accounts[%d]", i)
		account := c.account(path, keys)
		if first, taken := ids[account.ID]; taken && keys.Name != "" {
			c.wrong(path+".name", "the account %q has the id %s, as the account %q in line %d; choose another name, or put the tokens into one account",
				keys.Name, account.ID, file.Accounts[first].Name, c.line(fmt.Sprintf("accounts[%d].name", first)))
		} else {
			ids[account.ID] = i
		}
		account.Tokens = c.tokens(file, path, account.ID, agentID, keys)
		accounts = append(accounts, account)
	}
	return accounts
}

func (c *checker) account(path string, keys accountKeys) Account {
	a := Account{
		ID: rotation.AccountID(keys.Name), Name: keys.Name, Role: keys.Role, Teams: keys.Teams,
		Owner: keys.Owner, Purpose: keys.Purpose, Justification: keys.Justification,
	}
	switch {
	case keys.Name == "": // reported
	case a.ID == emptyID:
		c.wrong(path+".name", "the name %q has no letter a to z and no digit, so its id in Qualytics would be empty; choose another name", keys.Name)
	case vagueName.MatchString(keys.Name):
		c.doubt(path+".name", "the name %q doesn't tell what the account is for; a better one names the system and its use", keys.Name)
	}
	if elevated := keys.Role == "Manager" || keys.Role == "Admin"; elevated && strings.TrimSpace(keys.Justification) == "" && !c.bad[path+".justification"] {
		c.wrong(path+".role", "the role %s needs a reason on record; add justification: why a lower role isn't enough", keys.Role)
	}
	for i, team := range keys.Teams {
		at := fmt.Sprintf("%s.teams[%d]", path, i)
		switch {
		case c.bad[at]:
		case strings.TrimSpace(team) == "":
			c.wrong(at, "a team's name is empty; write its name, or take the line out")
		case slices.Contains(keys.Teams[:i], team):
			c.wrong(at, "the team %q stands here a second time; take one of them out", team)
		}
	}
	if len(keys.Tokens) == 0 && !c.bad[path+".tokens"] && !c.bad[path] {
		c.doubt(path, "the account has no tokens, so nothing is done for it; declare one, or take the account out")
	}
	return a
}

func (c *checker) tokens(file *fileKeys, account, accountID, agentID string, of accountKeys) []Token {
	keys := of.Tokens
	names := make(map[string]int)
	tokens := make([]Token, 0, len(keys))
	for i, k := range keys {
		path := fmt.Sprintf("%s.tokens[%d]", account, i)
		if first, taken := names[k.Name]; taken && k.Name != "" {
			c.wrong(path+".name", "the token %q is declared already in line %d; a token's name is unique in its account",
				k.Name, c.line(fmt.Sprintf("%s.tokens[%d].name", account, first)))
		} else {
			names[k.Name] = i
		}
		label := len(rotation.Label(k.Name, agentID, 1)) - 1 + generationDigits
		if k.Name != "" && label > rotation.MaxTokenName {
			c.wrong(path+".name", "the name has %d characters, which makes labels of up to %d (with the agent's id and a number); Qualytics takes %d: shorten it by %d",
				len(k.Name), label, rotation.MaxTokenName, label-rotation.MaxTokenName)
		}
		told := c.hookLists(path, k.OnDelivery, k.OnRevocation).or(c.told[k.Environment]).or(c.told[""])
		token := Token{
			Name: k.Name, Environment: k.Environment,
			Schedule:          c.schedule(file, path, k),
			BlockOnRevocation: k.OnExternalRevocation == "block",
			RetireRemoved:     cmp.Or(k.OnRemove, of.OnRemove, file.Environments[k.Environment].OnRemove, file.Defaults.OnRemove) == "retire",
			OnDelivery:        told.onDelivery, OnRevocation: told.onRevocation,
		}
		token.Deliver = c.targets(file, path, rotation.Slot(accountID, k.Name), token, k.Deliver)
		tokens = append(tokens, token)
	}
	return tokens
}
