package qualytics

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/handover-agent/handover/backends/secret"
)

const (
	// maxDetailBody is how much of a refusal's body is read.
	maxDetailBody = 16 << 10
	// maxDetail is how much of its text an error shows, in characters.
	maxDetail = 200
	// maxDetails is how many rows of a 422 an error shows.
	maxDetails = 3
)

// readDetail is the explanation in a refusal's body, shortened and without any
// trace of a secret; "" when there is none. The shapes are G: {"detail": text}
// and {"detail": [{"loc": […], "msg": text}]} as FastAPI does; a "message" is
// taken too. FastAPI's "input" repeats the request and is left out.
func readDetail(body io.Reader, known ...secret.Value) string {
	raw, err := io.ReadAll(io.LimitReader(body, maxDetailBody))
	if err != nil {
		return ""
	}
	var answer struct {
		Detail  json.RawMessage `json:"detail"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(raw, &answer) != nil {
		return ""
	}
	text := answer.Message
	if of := detailText(answer.Detail); of != "" {
		text = of
	}
	return shorten(scrub(text, known...))
}

func detailText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var rows []struct {
		Loc []any  `json:"loc"`
		Msg string `json:"msg"`
	}
	if json.Unmarshal(raw, &rows) != nil {
		return ""
	}
	var parts []string
	for _, row := range rows[:min(len(rows), maxDetails)] {
		var place []string
		for _, step := range row.Loc {
			place = append(place, fmt.Sprint(step))
		}
		parts = append(parts, strings.TrimPrefix(strings.Join(place, ".")+": ", ": ")+row.Msg)
	}
	return strings.Join(parts, "; ")
}

// secretLike is a run that may be a part of a token: the API's texts are words.
var secretLike = regexp.MustCompile(`[A-Za-z0-9_+/=\-]{24,}`)

// scrub takes the known secrets out of a text of the server, whole and in
// pieces, and whatever looks like another: a server may show a token that this
// client never saw.
func scrub(text string, known ...secret.Value) string {
	if text == "" {
		return ""
	}
	text = secret.Redact(errors.New(text), known...).Error()
	for _, value := range known {
		text = withoutPieces(text, value.Reveal())
	}
	return secretLike.ReplaceAllString(text, "<secret>")
}

// pieceLen is how many bytes of a secret in a row are too many.
const pieceLen = 12

// withoutPieces takes out every run of text that is part of the secret, from
// pieceLen bytes on: a server may cut what it shows.
func withoutPieces(text, whole string) string {
	pieces := map[string]bool{}
	for i := 0; i+pieceLen <= len(whole); i++ {
		pieces[whole[i:i+pieceLen]] = true
	}
	var clean strings.Builder
	shown := 0
	for i := 0; i+pieceLen <= len(text); i++ {
		if i < shown || !pieces[text[i:i+pieceLen]] {
			continue
		}
		end := i + pieceLen
		for end < len(text) && pieces[text[end-pieceLen+1:end+1]] {
			end++
		}
		clean.WriteString(text[shown:i] + "<secret>")
		shown = end
	}
	return clean.String() + text[shown:]
}

// shorten makes one line of at most maxDetail characters.
func shorten(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if runes := []rune(text); len(runes) > maxDetail {
		return string(runes[:maxDetail]) + "…"
	}
	return text
}
