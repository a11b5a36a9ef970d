class CreateEntries < ActiveRecord::Migration[7.2]
  def change
    create_table :entries do |table|
      table.string :name, null: false
      table.text :text, null: false
      table.timestamps
    end
  end
end
