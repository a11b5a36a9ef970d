ActiveRecord::Schema[7.2].define(version: 2026_11_01_090000) do
  create_table "entries", force: :cascade do |t|
    t.string "name", null: false
    t.text "text", null: false
    t.datetime "created_at", null: false
    t.datetime "updated_at", null: false
  end
end
