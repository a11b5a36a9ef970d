class EntriesController < ApplicationController
  def index
    @entry = Entry.new
    @entries = Entry.order(id: :desc).limit(50)
  end

  def create
    @entry = Entry.new(params.require(:entry).permit(:name, :text))
    return redirect_to root_path if @entry.save

    @entries = Entry.order(id: :desc).limit(50)
    render :index, status: :unprocessable_entity
  end
end
