package payload

import "github.com/handover-agent/handover/backends"

// vaultConnectionShape is a connection as an entry in Vault: flat string
// values under fixed keys.
//
// With multi, one entry serves several consumers: Airflow takes conn_uri and
// ignores the rest, templates and operators take token and url, an Airflow
// variable is value.
func vaultConnectionShape(style string) shape {
	write := writeMulti
	switch style {
	case styleURI:
		write = writeVaultURI
	case styleFields:
		write = writeVaultFields
	}
	return shape{write: write, read: readVaultConnection}
}

func writeVaultURI(t backends.Token) (string, error) {
	uri, err := writeURI(t)
	if err != nil {
		return "", err
	}
	return encode(struct {
		URI string `json:"conn_uri"`
	}{uri})
}

func writeVaultFields(t backends.Token) (string, error) {
	c, err := newConnection(t)
	if err != nil {
		return "", err
	}
	extra, err := encode(c.Extra)
	if err != nil {
		return "", err
	}
	return encode(struct {
		Type     string `json:"conn_type"`
		Extra    string `json:"extra"`
		Host     string `json:"host"`
		Password string `json:"password"`
		Port     int    `json:"port,omitempty,string"`
		Schema   string `json:"schema"`
	}{c.Type, extra, c.Host, c.Password, c.Port, c.Schema})
}

func writeMulti(t backends.Token) (string, error) {
	uri, err := writeURI(t)
	if err != nil {
		return "", err
	}
	return encode(struct {
		URI   string `json:"conn_uri"`
		Token string `json:"token"`
		URL   string `json:"url"`
		Value string `json:"value"`
	}{uri, t.Value.Reveal(), t.URL, t.Value.Reveal()})
}

// readVaultConnection reads an entry of any style. Where a conn_uri stands,
// Airflow ignores the fields, and so does this; token and value must agree
// with it, for somebody may read them.
func readVaultConnection(payload string) (string, error) {
	object, err := decode(payload)
	if err != nil {
		return "", err
	}
	var found []string
	if uri, ok := object["conn_uri"].(string); ok {
		found, err = readURI(uri)
	} else {
		found, err = readFields(object, "password")
	}
	if err != nil {
		return "", err
	}
	for _, key := range []string{"token", "value"} {
		if token, ok := object[key].(string); ok {
			found = append(found, token)
		}
	}
	return agree(found...)
}
