package api

import "arus/app/model"

type settingItem struct {
	model.SettingValue
	Env  string `json:"environment"`
	Flag string `json:"flag"`
}

func settingsDetails(c *call) (any, error) {
	values, err := c.Control.ListSettings(c.ctx)
	return convert(values, func(v model.SettingValue) settingItem { return settingItem{v, v.Env(), "--" + v.Flag()} }), err
}
